-- Executables that were never seen before.
-- :since = 24h, how far back
SELECT local(first_seen) AS first, local(last_seen) AS last, path, sha256
FROM executables
WHERE first_seen >= ago(:since)
ORDER BY first_seen DESC
LIMIT 500
