"""Random lives of models: what applies, clients, people and kills do to one server, and what must hold all the time."""
