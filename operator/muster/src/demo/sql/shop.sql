-- Run once as superuser, in the database `shop`, before Muster's own part.
create table orders (
    id uuid primary key,
    item text not null,
    writer text not null,
    state text not null default 'placed',
    placed timestamptz not null default clock_timestamp()
);
alter table orders owner to shop;

