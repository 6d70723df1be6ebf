-- Records of a department with their blindings, in the order of the tree of their dataset. Secret: who reads this file
-- knows the records.
CREATE TABLE department_record (
    dataset TEXT NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    attributes TEXT NOT NULL,
    field_values TEXT NOT NULL,
    blinding BLOB NOT NULL CHECK (length(blinding) = 32),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (dataset, position),
    UNIQUE (dataset, subject, period)
);
