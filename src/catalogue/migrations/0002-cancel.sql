-- Who asked a running run to stop; its process looks.
ALTER TABLE run ADD COLUMN cancel TEXT;
