-- What one app or one login can take from all others, bounded.

-- How many origins a region's app registered within the last minute: consumers ask every 5 s while new
-- ones come, and hold whoever has too many.
CREATE INDEX origin_first_seen ON homeward.origin (first_seen);
