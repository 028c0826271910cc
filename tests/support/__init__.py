"""What tests stand on: database servers, copies of the migrated schema, a browser."""
