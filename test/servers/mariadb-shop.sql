-- One of everything that a dump has to bring back.
create database shop character set utf8mb4; use shop;
create table customers (id int auto_increment primary key, name varchar(80) not null, born date, seen timestamp(6) null, score float, ratio double, flags bit(9), kind enum('a','b\'c') , tags set('x','y'), photo varbinary(300), doc json, note text character set latin1, big bigint unsigned, price decimal(20,6), t time(3), y year, u uuid, ip inet6, place point, unique key (name)) engine=InnoDB;
insert into customers (name, born, seen, score, ratio, flags, kind, tags, photo, doc, note, big, price, t, y, u, ip, place)
 select concat('name ', seq, ' ''q" \\ \n\r\0 \Z 🙂'), '1999-02-03', '2024-03-31 02:30:00.123456', 0.1+seq, 1e-300*seq, seq % 512, if(seq%3,'a','b''c'), 'x,y', unhex(sha2(seq,256)), json_object('k', seq), 'àéî', 18446744073709551615-seq, seq/7, '-12:30:00.5', 2024, uuid(), '::1', point(seq, 1.5) from seq_1_to_5000;
insert into customers (name) values ('all null'), ('NULL'), ('');
create table orders (id bigint primary key, customer int not null, body longtext, key (customer), constraint fk foreign key (customer) references customers (id) on delete cascade, total int as (customer * 2) stored, virt int as (customer + 1) virtual);
insert into orders (id, customer, body) select seq, 1 + seq % 5000, repeat(md5(seq), 40) from seq_1_to_12000;
create table `odd ``na/me.` (a int, b varchar(10)) ; insert into `odd ``na/me.` values (1,'x'),(1,'x'),(null,null);
create table empty_one (a int primary key);
create table old_style (a int primary key, b text) engine=MyISAM; insert into old_style values (1,'m');
create table audit (what text);
create sequence ticket start with 100; select nextval(ticket);
create view v2 as select id from customers; create view v1 as select v2.id, o.total from v2 join orders o on o.customer = v2.id;
delimiter //
create trigger t1 after insert on empty_one for each row begin insert into audit values ('t1;'); end//
create trigger t2 after insert on empty_one for each row follows t1 begin insert into audit values ('t2'); end//
create function f(x int) returns int deterministic begin return x + 1; end//
create procedure p() begin select ';;' ; select 'é'; end//
create event e on schedule every 1 day do insert into audit values ('e')//
delimiter ;
