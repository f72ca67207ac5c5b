-- What ran on this leader: detects a program with other files and a schema that was changed by hand.

ALTER TABLE homeward.migration ADD COLUMN checksum text;
COMMENT ON COLUMN homeward.migration.checksum IS 'SHA-256 of the file, in hexadecimal';

-- As released in v0.1.0; see v0.1.0.sha256.
UPDATE homeward.migration m SET checksum = r.checksum
FROM (VALUES
    (1, 'f8d2b1cb1a875498cb93f9bf832e0a52fc7bae1893633da58f3c167d1b705d44'),
    (2, 'baf2e08f6b7c34cf35db65918602c8d8a11a53d1c5d7967fb13f7b60336d3190'),
    (3, '6be2d63b167b2d1016b60e4a32dcb330badbe7d05e269a567678748595c73250'),
    (4, '22cf1ef9b6674f3f377b201409da99875dc48a2ccb2577d0bfa69cbc6e458fc4'),
    (5, '0df8c0dc7a5ef5a59371fd7f371e1bb0ff1cf02a2cbb0c656472a5550f9e06a9'),
    (6, 'f90d5d68d130a160570544aa4d37550cd8d846a3978f968a42501dee28ab7c19'),
    (7, '6e164f83b37248e9b63ab9cabd0e01f513786b76fee180bb1a849ba60015357a'),
    (8, '68f8625dd9d2c2d40196dac03f5a8a4f0a10f99e43aaa1ab260eb1f9b4aeae24')
) AS r (version, checksum)
WHERE m.version = r.version;

-- Tables, views, indexes and functions as the migrations left them. A migration that changes one
-- changes its row in the same transaction.
CREATE TABLE homeward.migrated_object (
    kind        text NOT NULL,
    name        text NOT NULL,
    fingerprint text NOT NULL,
    PRIMARY KEY (kind, name)
);
COMMENT ON COLUMN homeward.migrated_object.fingerprint IS
    'columns of a table or view, keys of an index, MD5 of a function''s body';
