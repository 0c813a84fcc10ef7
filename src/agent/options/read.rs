//! Options as agents really send them.

use agent_client_protocol_schema::v1::SessionConfigOption;
use serde_json::{Map, Value};

/// Reads an option as far as it can be understood: some agents have chosen none of the values, or give them no names.
pub(super) fn option(option: &Value) -> Option<SessionConfigOption> {
    if let Ok(read) = serde_json::from_value(option.clone()) {
        return Some(read);
    }
    let mut whole = option.clone();
    let fields = whole.as_object_mut()?;
    if fields.get("currentValue").is_none_or(Value::is_null) {
        fields.insert("currentValue".to_owned(), "".into());
    }
    let id = fields.get("id").cloned();
    name_after(fields, id);
    let values = fields.get_mut("options").and_then(Value::as_array_mut);
    for value in values
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        let group = value.get("group").cloned();
        match value.get_mut("options").and_then(Value::as_array_mut) {
            Some(grouped) => {
                grouped
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(name_value);
                name_after(value, group);
            }
            None => name_value(value),
        }
    }
    serde_json::from_value(whole).ok()
}

fn name_value(value: &mut Map<String, Value>) {
    let id = value.get("value").cloned();
    name_after(value, id);
}

/// What has no name is called by its id.
fn name_after(fields: &mut Map<String, Value>, id: Option<Value>) {
    if !fields.get("name").is_some_and(Value::is_string)
        && let Some(id) = id
    {
        fields.insert("name".to_owned(), id);
    }
}
