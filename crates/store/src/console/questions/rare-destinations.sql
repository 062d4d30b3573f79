-- Addresses outside that this host hardly ever asked for something, the newest first.
-- :since = 24h, how far back
-- :most = 2, so many connections at most
SELECT destination_ip, max(destination_domain) AS domain, count(*) AS connections, local(max(start_time)) AS last,
       group_concat(DISTINCT process_name) AS processes, human_bytes(sum(bytes)) AS bytes
FROM connections
WHERE id >= id_at(ago(:since)) AND scope = 'external' AND side = 'source'
GROUP BY destination_ip
HAVING count(*) <= :most
ORDER BY max(start_time) DESC
LIMIT 200
