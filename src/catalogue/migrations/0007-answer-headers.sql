-- Where to find what was made, and its version, belong to the answer.
ALTER TABLE answer ADD COLUMN headers TEXT NOT NULL DEFAULT '{}';
