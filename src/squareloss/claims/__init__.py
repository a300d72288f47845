"""The paper's statements as tests on tables; a module a section of the paper."""
