//! Markets and their dimensions.

use std::collections::BTreeMap;

use almanac_proto::{common::v1::ErrorReason, forecast::v1 as pb};
use almanac_service_kit::{
    check::{MAX_NAME_BYTES, MAX_TEXT_BYTES},
    fault::Violations,
};

use super::period::{frequency, period, wire_frequency};
use crate::{
    domain::hierarchy::{
        self, Hierarchy, HierarchyFault, HierarchyProblem as Problem, MAX_DIMENSIONS, MAX_MEMBERS,
    },
    error::hierarchy_reason,
    store::{Basis, Dimension, ExchangeRates, Market, Prices},
};

/// What a request says of a market.
pub fn parse(proto: &pb::Market, at: &str, violations: &mut Violations) -> Option<Market> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(
        &format!("{at}.description"),
        &proto.description,
        MAX_TEXT_BYTES,
    );
    violations.text(&format!("{at}.unit"), &proto.unit, MAX_NAME_BYTES);
    let basis = proto
        .measurement_basis
        .as_ref()
        .map(|basis| parse_basis(basis, &format!("{at}.measurement_basis"), violations));
    let frequency = frequency(&format!("{at}.frequency"), proto.frequency, violations);
    let dimensions = dimensions(&proto.dimensions, &format!("{at}.dimensions"), violations);
    Some(Market {
        description: proto.description.clone(),
        unit: proto.unit.clone(),
        basis,
        frequency: frequency?,
        nonnegative: proto.nonnegative,
        dimensions: dimensions?.0,
    })
}

fn parse_basis(basis: &pb::MeasurementBasis, at: &str, violations: &mut Violations) -> Basis {
    use pb::measurement_basis::{ExchangeRates as Rates, PriceBasis};
    let exchange_rates = match &basis.exchange_rates {
        None => None,
        Some(Rates::CurrentExchangeRates(_)) => Some(ExchangeRates::Current),
        Some(Rates::ConstantExchangeRates(rates)) => {
            let field = format!("{at}.constant_exchange_rates.period");
            period(&field, &rates.period, None, violations).map(ExchangeRates::Constant)
        }
        Some(Rates::PurchasingPowerParity(parity)) => {
            if let Some(base) = parity.base_year {
                year(
                    &format!("{at}.purchasing_power_parity.base_year"),
                    base,
                    violations,
                );
            }
            Some(ExchangeRates::PurchasingPower(parity.base_year))
        }
    };
    let prices = basis.price_basis.as_ref().map(|prices| match prices {
        PriceBasis::NominalPrices(_) => Prices::Nominal,
        PriceBasis::RealPrices(real) => {
            year(
                &format!("{at}.real_prices.base_year"),
                real.base_year,
                violations,
            );
            Prices::Real(real.base_year)
        }
    });
    let code = &basis.currency;
    if !code.is_empty() && (code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase())) {
        let text = format!("{code:?} is no ISO 4217 code such as USD");
        violations.push(format!("{at}.currency"), ErrorReason::FieldInvalid, text);
    }
    if pb::MeasureKind::try_from(basis.measure_kind).is_err() {
        let text = format!("{} is no kind that this version knows", basis.measure_kind);
        violations.push(
            format!("{at}.measure_kind"),
            ErrorReason::FieldInvalid,
            text,
        );
    }
    let version = &basis.taxonomy_version;
    violations.text(&format!("{at}.taxonomy_version"), version, MAX_NAME_BYTES);
    Basis {
        exchange_rates,
        prices,
        currency: code.clone(),
        measure_kind: basis.measure_kind,
        taxonomy_version: version.clone(),
    }
}

fn year(field: &str, year: i32, violations: &mut Violations) {
    if !(1..=9999).contains(&year) {
        let text = format!("{year} is no year between 1 and 9999");
        violations.push(field, ErrorReason::FieldInvalid, text);
    }
}

/// Dimensions that a request declares, in canonical order, and crossed.
pub fn dimensions(
    wire: &[pb::Dimension],
    at: &str,
    violations: &mut Violations,
) -> Option<(Vec<Dimension>, Hierarchy)> {
    if !few(wire, at, violations) {
        return None;
    }
    let mut told = BTreeMap::new();
    let mut declared = Vec::with_capacity(wire.len());
    for (row, dimension) in wire.iter().enumerate() {
        declared.push(declaration(dimension, &format!("{at}[{row}]"), violations));
        let labels = dimension
            .members
            .iter()
            .filter(|member| !member.labels.is_empty());
        let labels: BTreeMap<String, BTreeMap<String, String>> = labels
            .map(|member| (member.id.clone(), member.labels.clone()))
            .collect();
        told.insert(
            dimension.id.clone(),
            (dimension.display_name.clone(), labels),
        );
    }
    let hierarchy = match Hierarchy::new(&declared) {
        Ok(hierarchy) => hierarchy,
        Err(faults) => {
            for fault in faults {
                let field = fault_field(&fault, at);
                violations.push_named(field, hierarchy_reason(&fault.problem), fault.to_string());
            }
            return None;
        }
    };
    let dimensions = hierarchy.dimensions().into_iter().map(|declared| {
        let (display_name, labels) = told.remove(&declared.id).unwrap_or_default();
        Dimension {
            declared,
            display_name,
            labels,
        }
    });
    Some((dimensions.collect(), hierarchy))
}

/// Whether dimensions and members are few enough to look at each.
fn few(wire: &[pb::Dimension], at: &str, violations: &mut Violations) -> bool {
    let mut faults = Vec::new();
    if wire.len() > MAX_DIMENSIONS {
        let count = wire.len();
        faults.push((None, Problem::TooManyDimensions { count }));
    }
    for (row, dimension) in wire.iter().enumerate().take(MAX_DIMENSIONS) {
        let count = dimension.members.len();
        if count > MAX_MEMBERS {
            let dimension = dimension.id.clone();
            let problem = Problem::TooManyMembers { dimension, count };
            faults.push((Some(row), problem));
        }
    }
    if faults.is_empty() {
        // What the service is told is too many, where it is told less.
        let mut few = violations.list(at, wire.len(), MAX_DIMENSIONS);
        for (row, dimension) in wire.iter().enumerate() {
            let field = format!("{at}[{row}].members");
            few &= violations.list(&field, dimension.members.len(), MAX_MEMBERS);
        }
        return few;
    }
    for (dimension, problem) in faults {
        let reason = hierarchy_reason(&problem);
        let fault = HierarchyFault {
            dimension,
            member: None,
            problem,
        };
        violations.push_named(fault_field(&fault, at), reason, fault.to_string());
    }
    false
}

fn declaration(
    dimension: &pb::Dimension,
    at: &str,
    violations: &mut Violations,
) -> hierarchy::Dimension {
    violations.id(&format!("{at}.id"), &dimension.id);
    violations.text(
        &format!("{at}.display_name"),
        &dimension.display_name,
        MAX_NAME_BYTES,
    );
    let mut members = Vec::with_capacity(dimension.members.len());
    for (row, member) in dimension.members.iter().enumerate() {
        let at = format!("{at}.members[{row}]");
        violations.id(&format!("{at}.id"), &member.id);
        violations.standard(&at, &member.display_name, &member.labels);
        members.push(hierarchy::Member {
            id: member.id.clone(),
            parent: Some(member.parent.clone()).filter(|parent| !parent.is_empty()),
            display_name: member.display_name.clone(),
        });
    }
    hierarchy::Dimension {
        id: dimension.id.clone(),
        members,
    }
}

/// The field that a fault of the declaration is about.
fn fault_field(fault: &HierarchyFault, at: &str) -> String {
    let Some(dimension) = fault.dimension else {
        return at.to_owned();
    };
    let Some(member) = fault.member else {
        return match fault.problem {
            Problem::DuplicateDimension { .. } => format!("{at}[{dimension}].id"),
            _ => format!("{at}[{dimension}].members"),
        };
    };
    let field = match fault.problem {
        Problem::UnknownParent { .. } | Problem::SecondRoot { .. } | Problem::Cycle { .. } => {
            "parent"
        }
        _ => "id",
    };
    format!("{at}[{dimension}].members[{member}].{field}")
}

/// Writes what is particular to a market into its wire form.
pub fn render(market: &Market, proto: &mut pb::Market) {
    proto.description.clone_from(&market.description);
    proto.unit.clone_from(&market.unit);
    proto.measurement_basis = market.basis.as_ref().map(render_basis);
    proto.frequency = wire_frequency(market.frequency);
    proto.nonnegative = market.nonnegative;
    proto.dimensions = market.dimensions.iter().map(render_dimension).collect();
}

fn render_basis(basis: &Basis) -> pb::MeasurementBasis {
    use pb::measurement_basis::{ExchangeRates as Rates, PriceBasis};
    pb::MeasurementBasis {
        exchange_rates: basis.exchange_rates.map(|rates| match rates {
            ExchangeRates::Current => Rates::CurrentExchangeRates(pb::CurrentExchangeRates {}),
            ExchangeRates::Constant(period) => {
                let period = period.to_string();
                Rates::ConstantExchangeRates(pb::ConstantExchangeRates { period })
            }
            ExchangeRates::PurchasingPower(base_year) => {
                Rates::PurchasingPowerParity(pb::PurchasingPowerParity { base_year })
            }
        }),
        price_basis: basis.prices.map(|prices| match prices {
            Prices::Nominal => PriceBasis::NominalPrices(pb::NominalPrices {}),
            Prices::Real(base_year) => PriceBasis::RealPrices(pb::RealPrices { base_year }),
        }),
        currency: basis.currency.clone(),
        measure_kind: basis.measure_kind,
        taxonomy_version: basis.taxonomy_version.clone(),
    }
}

fn render_dimension(dimension: &Dimension) -> pb::Dimension {
    let members = dimension.declared.members.iter().map(|member| pb::Member {
        id: member.id.clone(),
        parent: member.parent.clone().unwrap_or_default(),
        display_name: member.display_name.clone(),
        labels: dimension
            .labels
            .get(&member.id)
            .cloned()
            .unwrap_or_default(),
    });
    pb::Dimension {
        id: dimension.declared.id.clone(),
        display_name: dimension.display_name.clone(),
        members: members.collect(),
    }
}

#[cfg(test)]
mod tests;
