-- A table that is filled, changed, indexed, searched and summed up.
create table goods(id integer primary key, name text, price real, kind integer);
begin;
with recursive count(i) as (select 1 union all select i + 1 from count where i < 60000)
  insert into goods select i, printf('%06x-%s', i * 7919 % 65536, i), i * 0.25, i % 17 from count;
commit;
create index by_name on goods(name);
update goods set price = price * 1.5 where kind in (3, 5, 8);
delete from goods where id % 11 = 0;
select kind, count(*), round(avg(price), 6), min(name), max(name) from goods group by kind;
select a.id, b.name from goods a join goods b on b.id = a.kind * 100 + 1 where a.name like '00%' order by b.name, a.id limit 40;
select sum(length(name)), count(distinct substr(name, 1, 3)), total(price) from goods;
pragma integrity_check;
