//! What one object has become, as a tree: each part, and the kinds of objects that it consists of.

use std::collections::BTreeMap;
use std::fmt::Write;

use prism_api::{PrismStack, condition, labels};
use prism_plan::conditions::find;

use crate::objects::Object;
use crate::stack::{NAMESPACE, STACK, parts};

/// One line of the tree and what hangs below it.
struct Node {
    title: String,
    state: String,
    below: Vec<Node>,
}

/// The tree of `stack` and `objects`, ready for print.
pub(crate) fn of(stack: &PrismStack, objects: &[Object]) -> String {
    let status = stack.status.clone().unwrap_or_default();
    let mut children = BTreeMap::<String, Vec<&Object>>::new();
    for object in objects {
        children.entry(part_of(object)).or_default().push(object);
    }
    let mut below = Vec::new();
    for (title, part) in parts(&status) {
        let object = part.object.clone().unwrap_or_default();
        // Components belong to the stack, everything else to the object behind the part.
        let key = if title == part.name { title.clone() } else { object.clone() };
        let consists = children.remove(&key).unwrap_or_default();
        let kind = part.kind.clone().unwrap_or_default();
        let state = format!("{kind} {object}: {}", part.message.as_deref().unwrap_or_default());
        below.push(Node { title, state, below: vec![Node::plain(kinds(&consists))] });
    }
    let around = children.remove("stack").unwrap_or_default();
    let around: Vec<_> = around.iter().map(|object| format!("{} {}", object.kind, object.name())).collect();
    if !around.is_empty() {
        below.push(Node { title: "around it".to_owned(), state: around.join(", "), below: Vec::new() });
    }
    if let Some(missing) = find(&status.conditions, condition::INTEGRATIONS_AVAILABLE) {
        // What is missing comes first, what to do about it afterwards.
        let kinds = missing.message.split(';').next().unwrap_or_default();
        let state = format!("{kinds} ({}={})", missing.type_, missing.status);
        below.push(Node { title: "left out".to_owned(), state, below: Vec::new() });
    }
    let ready = find(&status.conditions, condition::READY);
    let ready = ready.map(|ready| format!("Ready={}: {}", ready.status, ready.message)).unwrap_or_default();
    let title = format!("PrismStack {NAMESPACE}/{STACK}");
    Node { title, state: format!("{ready}; {} objects", objects.len() + 1), below }.draw()
}

/// The component of the stack that `object` belongs to, or the name of the pattern or backend.
fn part_of(object: &Object) -> String {
    let owner = object.metadata.owner_references.iter().flatten().next();
    // A Secret that outlives its backend has no owner.
    let named = || object.metadata.labels.as_ref()?.get(labels::APP_INSTANCE).cloned();
    match owner.filter(|owner| owner.kind == "PrismStack") {
        Some(_) if object.kind.starts_with("Prism") => object.name().to_owned(),
        Some(_) => object
            .metadata
            .labels
            .as_ref()
            .and_then(|all| all.get(labels::COMPONENT))
            .cloned()
            .unwrap_or_default(),
        None => owner.map(|owner| owner.name.clone()).or_else(named).unwrap_or_default(),
    }
}

/// `StatefulSet, 2 Services`.
fn kinds(objects: &[&Object]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for object in objects.iter().filter(|object| !object.kind.starts_with("Prism")) {
        match kinds.iter_mut().find(|(kind, _)| *kind == object.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((&object.kind, 1)),
        }
    }
    let words = kinds.into_iter().map(|(kind, count)| match count {
        1 => kind.to_owned(),
        count => format!("{count} {kind}s"),
    });
    words.collect::<Vec<_>>().join(", ")
}

impl Node {
    fn plain(title: String) -> Self {
        Self { title, state: String::new(), below: Vec::new() }
    }

    fn draw(&self) -> String {
        let mut text = String::new();
        let width = self.width(0);
        self.line(&mut text, "", "", width);
        text.truncate(text.trim_end().len());
        text
    }

    /// Columns that the widest title with a state needs, branches included.
    fn width(&self, depth: usize) -> usize {
        let own = if self.state.is_empty() { 0 } else { 3 * depth + self.title.chars().count() };
        self.below.iter().map(|node| node.width(depth + 1)).fold(own, usize::max)
    }

    fn line(&self, text: &mut String, branch: &str, indent: &str, width: usize) {
        let title = format!("{branch}{}", self.title);
        let line = format!("{title:width$}  {}", self.state);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        for (n, node) in self.below.iter().enumerate() {
            let (turn, on) =
                if n + 1 == self.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            node.line(text, &format!("{indent}{turn}"), &format!("{indent}{on}"), width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(title: &str, below: Vec<Node>) -> Node {
        Node { title: title.to_owned(), state: "ok".to_owned(), below }
    }

    #[test]
    fn branches_join_and_states_are_aligned() {
        let long = Node::plain("Deployment, Service".to_owned());
        let tree = node("p", vec![node("proxy", vec![long]), node("admin", vec![])]);
        let lines = ["p         ok", "├─ proxy  ok", "│  └─ Deployment, Service", "└─ admin  ok"];
        assert_eq!(tree.draw(), lines.join("\n"));
    }
}
