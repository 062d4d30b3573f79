-- What was lost or not looked at: counted losses by stage, and why.
-- :since = 7d, how far back
SELECT stage, reason, count(*) AS times, sum(lost) AS lost, local(min(time)) AS first, local(max(time)) AS last
FROM gaps
WHERE id >= id_at(ago(:since))
GROUP BY stage, reason
ORDER BY lost DESC
