-- Registered domains by bytes: names below one another counted together, names without one as they are.
-- :since = 24h, how far back
WITH named AS (
    SELECT *, coalesce(destination_domain, server_name) AS name
    FROM connections
    WHERE id >= id_at(ago(:since))
)
SELECT coalesce(registrable_domain(name), name) AS domain, count(*) AS connections,
       count(DISTINCT destination_ip) AS addresses, human_bytes(sum(bytes)) AS bytes,
       group_concat(DISTINCT process_name) AS processes
FROM named
WHERE name IS NOT NULL
GROUP BY 1
ORDER BY sum(bytes) DESC
LIMIT 100
