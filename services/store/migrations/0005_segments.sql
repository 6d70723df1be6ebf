-- Ciphertexts moved into segments beside the database; they are filled in from the bodies.
ALTER TABLE entry DROP COLUMN ciphertext;
