//! Redis: one server, its data in an append-only file.

use super::{
    Wish, only_one,
    probe::{probes, script},
    product::Product,
};
use crate::{
    backend::secret,
    environment::from_secret,
    invalid::Invalid,
    program::{Port, Program},
};

pub(super) const PRODUCT: Product = Product {
    repository: "docker.io/library/redis",
    tag: "7.4.2-alpine",
    user: 999,
    data_path: "/data",
    ports: &[Port { name: "redis", number: 6379 }],
    // The user that a password without a name belongs to.
    username: "default",
    has_database: false,
    secret_data: |_| Vec::new(),
    fill,
};

fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    only_one(program, "redis")?;
    // Its configuration comes on standard input: an argument would show the password in the list of processes.
    let start = format!(
        "exec redis-server - <<END\nrequirepass $REDIS_PASSWORD\nappendonly yes\ndir {}\nEND\n",
        PRODUCT.data_path
    );
    program.command = ["sh", "-c"].map(str::to_owned).into();
    program.args = vec![start];
    program.env = vec![
        from_secret("REDIS_PASSWORD", wish.secret, secret::PASSWORD),
        // What the client of the health checks logs in with.
        from_secret("REDISCLI_AUTH", wish.secret, secret::PASSWORD),
    ];
    // A server that still reads its data lives, and must not be stopped for that.
    program.probes = probes(
        script("redis-cli ping | grep -q PONG"),
        script("redis-cli ping | grep -qE 'PONG|LOADING|BUSY'"),
    );
    Ok(())
}
