-- What the kernel's own events tell, since schema 2. Rows of schema 1 have none of it: NULL is "unknown", "unset".

-- `outcome` as the other pairs: when it opened, and (`last_`) when last written. The name is the last known.
ALTER TABLE connection ADD COLUMN outcome INTEGER;
ALTER TABLE connection ADD COLUMN last_outcome INTEGER;
ALTER TABLE connection ADD COLUMN name INTEGER;
ALTER TABLE connection ADD COLUMN name_source INTEGER;

-- `exit_code` belongs to the identity, like `ended`: every version has it once the process is gone.
ALTER TABLE process ADD COLUMN script_sha256 TEXT;
ALTER TABLE process ADD COLUMN preload TEXT;
ALTER TABLE process ADD COLUMN exit_code INTEGER;

ALTER TABLE alert ADD COLUMN destination_domain TEXT;
ALTER TABLE alert ADD COLUMN outcome TEXT;
ALTER TABLE alert ADD COLUMN name_source TEXT;
ALTER TABLE alert ADD COLUMN script_sha256 TEXT;
ALTER TABLE alert ADD COLUMN preload TEXT;
ALTER TABLE alert ADD COLUMN exit_code INTEGER;
ALTER TABLE alert ADD COLUMN is_preloaded INTEGER;
ALTER TABLE alert ADD COLUMN standard_socket INTEGER;
