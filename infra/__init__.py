"""What stands in for, or runs beside, the services that assay talks to."""
