# included by the reference
