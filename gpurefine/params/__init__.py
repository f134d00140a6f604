"""What is refined, and how it maps onto atoms."""
