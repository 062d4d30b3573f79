-- Executables that were never seen before.
-- :since = 24h, how far back
SELECT local(first_seen) AS first, local(last_seen) AS last, path, sha256
FROM executables e
WHERE first_seen >= ago(:since)
  -- A file is without a digest until it was read.
  AND (sha256 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM executables r WHERE r.path = e.path AND r.sha256 IS NOT NULL))
ORDER BY first_seen DESC
LIMIT 500
