use super::super::{AdmissionConfig, Criticality, Mark, Reason};

#[test]
fn the_defaults_are_in_range() {
    assert_eq!(AdmissionConfig::default().validate(), Ok(()));
}

#[track_caller]
fn refused(setting: &str, change: fn(&mut AdmissionConfig)) {
    let mut config = AdmissionConfig::default();
    change(&mut config);
    assert_eq!(config.validate().unwrap_err().setting, setting);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    refused("default_enter_percent", |c| c.default.enter_percent = c.critical.enter_percent + 1);
    refused("sheddable_enter_percent", |c| c.sheddable.enter_percent = c.default.enter_percent + 1);
    refused("default_leave_percent", |c| c.default.leave_percent = c.default.enter_percent);
    refused("critical_limit_percent", |c| c.critical.limit_percent = 101);
    refused("sheddable_limit_percent", |c| c.sheddable.limit_percent = c.default.limit_percent + 1);
    refused("refusal_percent_held", |c| c.refusal_percent_held = c.refusal_percent + 1);
    refused("retry_after_s_min", |c| c.retry_after_s_min = c.retry_after_s_max + 1);
    refused("critical_leave_percent", |c| {
        c.critical = Mark { enter_percent: 100, leave_percent: 0, limit_percent: 100 };
    });
}

#[test]
fn labels_are_read_back() {
    for criticality in Criticality::ALL {
        assert_eq!(Criticality::from_label(criticality.label().as_bytes()), Some(criticality));
        assert_eq!(Criticality::ALL[criticality.index()], criticality);
    }
    assert_eq!(Criticality::from_label(b"Sheddable"), Some(Criticality::Sheddable));
    assert_eq!(Criticality::from_label(b"urgent"), None);
    for reason in Reason::ALL {
        assert_eq!(Reason::ALL[reason.index()], reason);
    }
}
