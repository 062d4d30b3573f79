-- Fingerprints of TLS clients (JA4), rare ones first, with the processes that have them. Needs a watch with packets.
-- :since = 7d, how far back
SELECT ja4, count(*) AS connections, count(DISTINCT server_name) AS names, group_concat(DISTINCT process_name) AS processes,
       max(server_name) AS example
FROM connections
WHERE id >= id_at(ago(:since)) AND ja4 IS NOT NULL
GROUP BY ja4
ORDER BY connections
LIMIT 200
