-- Addresses outside with the most bytes, and who talked to them.
-- :since = 24h, how far back
SELECT destination_ip, max(destination_domain) AS domain, count(*) AS connections,
       human_bytes(sum(bytes)) AS bytes, group_concat(DISTINCT process_name) AS processes
FROM connections
WHERE id >= id_at(ago(:since)) AND scope = 'external'
GROUP BY destination_ip
ORDER BY sum(bytes) DESC
LIMIT 50
