//! `PostgreSQL`: one server with one database.

use super::{
    Wish, only_one,
    probe::{probes, script},
    product::Product,
};
use crate::{
    backend::secret,
    environment::{from_secret, literal},
    invalid::Invalid,
    program::{Port, Program},
};

pub(super) const PRODUCT: Product = Product {
    repository: "docker.io/library/postgres",
    tag: "17.2-alpine",
    user: 70,
    data_path: "/var/lib/postgresql/data",
    ports: &[Port { name: "postgres", number: 5432 }],
    username: "prism",
    has_database: true,
    secret_data: |_| Vec::new(),
    fill,
};

fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    only_one(program, "postgres")?;
    program.env = vec![
        from_secret("POSTGRES_USER", wish.secret, secret::USERNAME),
        from_secret("POSTGRES_PASSWORD", wish.secret, secret::PASSWORD),
        literal("POSTGRES_DB", wish.database),
        // A database is only made in an empty folder, and the top of a volume has one of the file system's.
        literal("PGDATA", format!("{}/pgdata", PRODUCT.data_path)),
    ];
    // Over TCP: while the database is being made, a server answers on the socket alone. Status 1 is
    // one that recovers or stops, and must not be stopped for that.
    let asked = r#"pg_isready -q -h 127.0.0.1 -p 5432 -U "$POSTGRES_USER" -d "$POSTGRES_DB""#;
    program.probes = probes(script(asked), script(&format!("{asked}; [ $? -lt 2 ]")));
    Ok(())
}
