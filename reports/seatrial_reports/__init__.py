"""Reports: functions of a trial's records."""
