-- Registered domains by bytes: names below one another counted together.
-- :since = 24h, how far back
SELECT registrable_domain(coalesce(destination_domain, server_name)) AS domain, count(*) AS connections,
       count(DISTINCT destination_ip) AS addresses, human_bytes(sum(bytes)) AS bytes,
       group_concat(DISTINCT process_name) AS processes
FROM connections
WHERE id >= id_at(ago(:since)) AND coalesce(destination_domain, server_name) IS NOT NULL
GROUP BY 1
ORDER BY sum(bytes) DESC
LIMIT 100
