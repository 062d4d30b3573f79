//! Capture files: read with all their oddities, and written.
