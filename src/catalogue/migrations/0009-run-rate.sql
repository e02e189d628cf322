-- The rate that somebody gave to a running run, in KiB a second, or `none`; its process looks.
ALTER TABLE run ADD COLUMN rate TEXT;
