"""The registry that keeps the schemas of Avro, Protobuf and JSON Schema records, for workers and the API."""
