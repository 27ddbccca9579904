# Queries over tables that are filled by recursion; floating point, text, an index, a file.
rm -f /tmp/a.db
sqlite3 /tmp/a.db <<'SQL'
select sqlite_version();
create table numbers(n integer primary key, square integer, root real, name text);
with recursive count(i) as (select 1 union all select i + 1 from count where i < 4000)
  insert into numbers select i, i * i, 1.0 / i * 3.25 - i, printf('%06x-%s', i * 7919 % 65536, i) from count;
create index by_name on numbers(name);
select count(*), sum(square), total(root), avg(root), min(name), max(name) from numbers;
select a.n, b.n, a.name from numbers a join numbers b on a.square = b.n where b.n % 7 = 0 order by a.name limit 12;
select n % 10, count(*), round(avg(root), 9), group_concat(substr(name, 1, 2), '') from numbers where n < 200 group by 1;
select n, sum(square) over (order by n rows between 3 preceding and current row) from numbers where n < 12;
with recursive xaxis(x) as (values(-2.0) union all select x + 0.1 from xaxis where x < 1.2),
  yaxis(y) as (values(-1.0) union all select y + 0.1 from yaxis where y < 1.0),
  m(iter, cx, cy, x, y) as (select 0, x, y, 0.0, 0.0 from xaxis, yaxis union all
    select iter + 1, cx, cy, x*x - y*y + cx, 2.0*x*y + cy from m where (x*x + y*y) < 4.0 and iter < 12),
  m2(iter, cx, cy) as (select max(iter), cx, cy from m group by cx, cy),
  a(t) as (select group_concat(substr(' .+*#', 1 + min(iter/3, 4), 1), '') from m2 group by cy)
  select group_concat(rtrim(t), x'0a') from a;
select json_extract('{"a":[1,2.5,{"b":"c"}]}', '$.a[2].b'), hex(zeroblob(4)), upper('abc') like 'ABC';
pragma integrity_check;
vacuum;
SQL
sqlite3 /tmp/a.db .dump | sha256sum
rm -f /tmp/a.db
