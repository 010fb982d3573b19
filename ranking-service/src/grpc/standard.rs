//! The standard methods of a resource, by the names of its fields.

/// Writes `create`, `get`, `list`, `update` and `delete` for a kind of resource; its requests
/// carry the fields named; `[parent]` for all but resources at the top, `[]` for those.
macro_rules! standard_methods {
    (
        $kind:ty: $proto:ident, $field:ident, $id:ident, $items:ident, [$($parent:ident)?],
        $create:ident, $get:ident, $list:ident -> $listed:ident, $update:ident, $delete:ident
    ) => {
        /// Creates one.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::create`].
        pub async fn create(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$create,
        ) -> Result<almanac_proto::ranking::v1::$proto, almanac_service_kit::fault::Fault> {
            use almanac_service_kit::{fault::{Fault, Violations}, resource, write::Intent};
            let mut violations = Violations::new();
            let name = stringify!($create);
            let intent = Intent::new(
                name, &request, &request.request_id, request.validate_only, &mut violations,
            );
            let new = resource::New {
                at: String::new(),
                id: &request.$id,
                proto: request.$field.as_ref(),
            };
            let parent: &str = [$(request.$parent.as_str(),)? ""][0];
            let first = |mut created: Vec<_>, _| created.pop().unwrap_or_default();
            let created: Result<_, Fault> = resource::create::<$kind, _>(
                app.store()?, intent, parent, vec![new], violations, first,
            ).await;
            created
        }

        /// Reads one.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::get`].
        pub async fn get(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$get,
        ) -> Result<almanac_proto::ranking::v1::$proto, almanac_service_kit::fault::Fault> {
            almanac_service_kit::resource::get::<$kind>(
                app.store()?, &request.name, request.consistency.as_ref(),
            ).await
        }

        /// Lists them by ID.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::list`].
        pub async fn list(
            app: &crate::grpc::App,
            mut request: almanac_proto::ranking::v1::$list,
        ) -> Result<almanac_proto::ranking::v1::$listed, almanac_service_kit::fault::Fault> {
            use almanac_service_kit::{page::Page, resource};
            let size = std::mem::take(&mut request.page_size);
            let token = std::mem::take(&mut request.page_token);
            let listing = resource::Listing {
                parent: [$(request.$parent.as_str(),)? ""][0],
                page: Page::open(stringify!($list), &request, size, &token)?,
                filter: &request.filter,
                order_by: &request.order_by,
                consistency: request.consistency.as_ref(),
            };
            let listed = resource::list::<$kind>(app.store()?, listing).await?;
            Ok(almanac_proto::ranking::v1::$listed {
                $items: listed.items,
                next_page_token: listed.next_page_token,
                revision: listed.revision,
            })
        }

        /// Changes one.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::update`].
        pub async fn update(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$update,
        ) -> Result<almanac_proto::ranking::v1::$proto, almanac_service_kit::fault::Fault> {
            use almanac_service_kit::{fault::Violations, resource, write::Intent};
            let mut violations = Violations::new();
            let name = stringify!($update);
            let intent = Intent::new(
                name, &request, &request.request_id, request.validate_only, &mut violations,
            );
            let (proto, mask) = (request.$field.as_ref(), request.update_mask.as_ref());
            resource::update::<$kind>(
                app.store()?, intent, proto, mask, request.allow_missing, violations,
            ).await
        }

        /// Deletes one.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::delete`].
        pub async fn delete(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$delete,
        ) -> Result<(), almanac_service_kit::fault::Fault> {
            use almanac_service_kit::{fault::Violations, resource, write::Intent};
            let mut violations = Violations::new();
            let name = stringify!($delete);
            let intent = Intent::new(
                name, &request, &request.request_id, request.validate_only, &mut violations,
            );
            let (allow_missing, etag) = (request.allow_missing, &request.etag);
            resource::delete::<$kind>(
                app.store()?, intent, &request.name, etag, allow_missing, violations,
            ).await
        }
    };
}

/// Writes `batch_create` and `batch_get` for a kind of resource.
macro_rules! batch_methods {
    (
        $kind:ty: $field:ident, $id:ident, $items:ident,
        $create:ident -> $created:ident, $get:ident -> $got:ident
    ) => {
        /// Creates many, all or none.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::create`].
        pub async fn batch_create(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$create,
        ) -> Result<almanac_proto::ranking::v1::$created, almanac_service_kit::fault::Fault> {
            use almanac_proto::common::v1::ErrorReason;
            use almanac_service_kit::{fault::Violations, resource, sizes::Sizes, write::Intent};
            let mut violations = Violations::new();
            let name = stringify!($create);
            let intent = Intent::new(
                name,
                &request,
                &request.request_id,
                request.validate_only,
                &mut violations,
            );
            let most = Sizes::current().batch;
            violations.count("requests", request.requests.len(), most);
            let mut news = Vec::new();
            for (row, one) in request.requests.iter().take(most).enumerate() {
                let at = format!("requests[{row}].");
                if !one.parent.is_empty() && one.parent != request.parent {
                    let text = "must be empty or the same as the batch's";
                    violations.push(format!("{at}parent"), ErrorReason::FieldInvalid, text);
                }
                if !one.request_id.is_empty() || one.validate_only {
                    let text = "belongs to the batch, not to its parts";
                    violations.push(format!("{at}request_id"), ErrorReason::FieldInvalid, text);
                }
                news.push(resource::New {
                    at,
                    id: &one.$id,
                    proto: one.$field.as_ref(),
                });
            }
            let answer =
                |$items, revision| almanac_proto::ranking::v1::$created { $items, revision };
            resource::create::<$kind, _>(
                app.store()?,
                intent,
                &request.parent,
                news,
                violations,
                answer,
            )
            .await
        }

        /// Reads many, all or none.
        ///
        /// # Errors
        /// See [`almanac_service_kit::resource::batch_get`].
        pub async fn batch_get(
            app: &crate::grpc::App,
            request: almanac_proto::ranking::v1::$get,
        ) -> Result<almanac_proto::ranking::v1::$got, almanac_service_kit::fault::Fault> {
            let ($items, revision) = almanac_service_kit::resource::batch_get::<$kind>(
                app.store()?,
                &request.parent,
                &request.names,
                request.consistency.as_ref(),
            )
            .await?;
            Ok(almanac_proto::ranking::v1::$got { $items, revision })
        }
    };
}

pub(crate) use batch_methods;
pub(crate) use standard_methods;
