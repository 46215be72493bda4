//! How a `PrismBackend` is looked after.

use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use prism_api::{
    backend::{DeletionPolicy, PrismBackend, PrismBackendStatus},
    labels,
};
use prism_engine::{
    cache::Cache,
    child::{Child, Content},
    object::{Kind, ObjectKey, Owner},
};
use prism_plan::{
    backend::{self, Facts, Plan, secret_name},
    invalid::Invalid,
    report::Report,
};

use crate::{
    context::Context,
    gather, kinds,
    managed::Managed,
    ownership, password,
    steps::{Steps, child},
};

impl Managed for PrismBackend {
    const KIND: Kind = kinds::PRISM_BACKEND;
    type Status = PrismBackendStatus;
    type Plan = BackendPlan;

    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>> {
        &ctx.backends
    }

    fn status(&self) -> Option<&PrismBackendStatus> {
        self.status.as_ref()
    }

    fn is_paused(&self, ctx: &Context) -> bool {
        ownership::is_paused_by_stack(ctx, kinds::PRISM_BACKEND, &self.metadata)
    }

    fn plan(&self, owner: &Owner, ctx: &Context) -> Result<BackendPlan, Invalid> {
        let password = if backend::is_provisioned(&self.spec) {
            password::draw().map_err(|_| {
                Invalid::new(
                    "spec.provision",
                    "the machine of the operator has no random numbers for a password",
                )
            })?
        } else {
            String::new()
        };
        let facts = Facts { password, ..facts(self, owner, ctx) };
        let retains = self.spec.deletion_policy != Some(DeletionPolicy::Delete);
        Ok(BackendPlan { plan: backend::plan(self, &facts)?, retains })
    }

    fn steps(plan: &BackendPlan, owner: &Owner, _: &Context) -> Result<Steps, serde_json::Error> {
        let mut steps = Steps::default();
        if plan.retains {
            // Data that stays is of no use without its password.
            let name = secret_name(&owner.key.name);
            steps.keep.push(ObjectKey::new(kinds::SECRET, &owner.key.namespace, &name));
        }
        if let Some(server) = &plan.plan.server {
            let content = if server.relies_on_secret { Content::Relied } else { Content::Drawn };
            let secret: Child = child(owner, kinds::SECRET, &server.secret)?.with(content);
            let secret = if plan.retains { secret.marked(labels::OWNED_BY, owner) } else { secret };
            steps.add_program(owner, &server.program, vec![secret])?;
        }
        Ok(steps)
    }

    fn hold(plan: &BackendPlan) -> Option<&str> {
        plan.plan.hold.as_deref()
    }

    fn assess(
        &self,
        plan: &Result<BackendPlan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> PrismBackendStatus {
        let facts = facts(self, owner, ctx);
        match plan {
            Ok(BackendPlan { plan, .. }) => backend::status(self, plan, &facts, report, Timestamp::now()),
            Err(invalid) => backend::refused(self, invalid, &facts, Timestamp::now()),
        }
    }

    fn is_progress_only(before: &PrismBackendStatus, after: &PrismBackendStatus) -> bool {
        backend::is_progress_only(before, after)
    }
}

/// What is to be done for a backend.
pub(crate) struct BackendPlan {
    plan: Plan,
    /// Whether its data outlives it.
    retains: bool,
}

fn facts(backend: &PrismBackend, owner: &Owner, ctx: &Context) -> Facts {
    let consents = gather::consents(ctx);
    Facts {
        server: gather::program(owner, &owner.key.name, ctx),
        service: gather::service(backend, ctx, &consents),
        home: ownership::home_of(ctx, kinds::PRISM_BACKEND, &backend.metadata),
        consents,
        password: String::new(),
    }
}
