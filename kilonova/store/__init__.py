"""What is kept, and every SQL statement that keeps it; one code for SQLite, PostgreSQL and MariaDB."""
