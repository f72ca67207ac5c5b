-- Which region's app the waiting dead letters are of, from an index alone: consumers ask at every
-- look of their upkeep, and hold whoever has too many.

CREATE INDEX dead_letter_origin ON homeward.dead_letter (origin, state) INCLUDE (payload_bytes, id)
    WHERE state IN ('open', 'parked');
