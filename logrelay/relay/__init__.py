"""The core: records, history, filters and hubs. Plain Python; knows neither HTTP nor GraphQL."""
