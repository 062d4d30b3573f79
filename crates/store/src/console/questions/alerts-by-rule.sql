-- How often each rule spoke, and how many of its alerts are open.
-- :since = 7d, how far back
SELECT rule, severity, count(*) AS alerts, sum(count) AS times, sum(NOT acknowledged AND verdict IS NULL) AS open,
       count(*) FILTER (WHERE verdict = 'false-positive') AS false_positives, local(max(last_time)) AS last
FROM alerts
WHERE last_time >= ago(:since)
GROUP BY rule, severity
ORDER BY max(severity_number) DESC, times DESC
