#pragma once

/* What each deliberate fault of ufmsync/engine_break.h does, for the table. */
const char *sim_mutant_name(int number);
