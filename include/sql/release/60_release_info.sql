-- release_info: which release this file is, one row a key, so that a reader who holds only the file can tell.
CREATE TABLE release_info AS
SELECT
    unnest($keys) AS key,
    unnest($values) AS value;
