-- Addresses outside with the most bytes, and who talked to them.
-- :since = 24h, how far back
SELECT iif(side = 'source', destination_ip, source_ip) AS ip, max(destination_domain) AS domain, count(*) AS connections,
       human_bytes(sum(bytes)) AS bytes, group_concat(DISTINCT process_name) AS processes
FROM connections
WHERE id >= id_at(ago(:since)) AND scope = 'external'
GROUP BY 1
ORDER BY sum(bytes) DESC
LIMIT 50
