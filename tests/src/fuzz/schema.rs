//! The shape of messages and methods, out of a service's descriptors.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// A field of a message.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Type,
    /// Whether there may be several.
    pub repeated: bool,
    /// The full name of its message, where it is one.
    pub message: String,
}

/// A method.
#[derive(Debug, Clone)]
pub(super) struct Method {
    /// The full name of its request.
    pub input: String,
    /// The full name of its response.
    pub output: String,
    /// Whether requests come as a stream.
    pub streams: bool,
}

/// Messages and methods by name.
#[derive(Debug)]
pub(super) struct Schema {
    /// The service's full name.
    pub service: String,
    /// By simple name.
    pub methods: BTreeMap<String, Method>,
    messages: BTreeMap<String, Vec<Field>>,
}

impl Schema {
    /// Reads descriptors that hold one service.
    ///
    /// # Errors
    /// If they cannot be decoded.
    pub(super) fn read(descriptors: &[u8]) -> Result<Self, prost::DecodeError> {
        let set = FileDescriptorSet::decode(descriptors)?;
        let mut schema = Self {
            service: String::new(),
            methods: BTreeMap::new(),
            messages: BTreeMap::new(),
        };
        for file in &set.file {
            let package = format!(".{}", file.package());
            for message in &file.message_type {
                schema.add(&package, message);
            }
            for service in &file.service {
                schema.service = format!("{}.{}", file.package(), service.name());
                schema.methods.extend(service.method.iter().map(|method| {
                    let shape = Method {
                        input: method.input_type().to_owned(),
                        output: method.output_type().to_owned(),
                        streams: method.client_streaming(),
                    };
                    (method.name().to_owned(), shape)
                }));
            }
        }
        Ok(schema)
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        let fields = message.field.iter().map(|field| Field {
            number: u32::try_from(field.number()).unwrap_or_default(),
            name: field.name().to_owned(),
            kind: field.r#type(),
            repeated: field.label() == Label::Repeated,
            message: field.type_name().to_owned(),
        });
        self.messages.insert(name, fields.collect());
    }

    /// The fields of a message; none of one that is not known.
    #[must_use]
    pub(super) fn fields(&self, message: &str) -> &[Field] {
        self.messages.get(message).map_or(&[], Vec::as_slice)
    }

    /// A field of a message by its name.
    #[must_use]
    pub(super) fn field(&self, message: &str, name: &str) -> Option<&Field> {
        self.fields(message).iter().find(|field| field.name == name)
    }
}

#[cfg(test)]
mod tests {
    use almanac_proto::{forecast, ranking};

    use super::*;

    #[test]
    fn what_is_said_to_compute_are_methods() {
        let services = [
            (ranking::DESCRIPTORS, ranking_service::COMPUTING),
            (forecast::DESCRIPTORS, forecast_service::COMPUTING),
        ];
        for (descriptors, computing) in services {
            let schema = Schema::read(descriptors).unwrap();
            for method in computing {
                assert!(schema.methods.contains_key(*method), "{method}");
            }
        }
    }
}
