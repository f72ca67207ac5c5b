CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL);
INSERT INTO orders (item) SELECT 'item ' || i FROM generate_series(1, 1000) AS i;
-- What the same shop would do without Homeward.
CREATE TABLE sync_audit (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL, action text NOT NULL, resource text NOT NULL, outcome text NOT NULL);
