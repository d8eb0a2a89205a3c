"""What operators look after: limits, usage, migrations, events, and what the API has."""
