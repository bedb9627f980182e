-- Something to replicate: run once, when the master's volume is new.
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    total numeric(12, 2) NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 100) n;
INSERT INTO orders (customer_id, total)
    SELECT 1 + n % 100, n * 1.25 FROM generate_series(1, 1000) n;
