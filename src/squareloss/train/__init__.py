"""What trains: whatever changes here makes runs train again."""
