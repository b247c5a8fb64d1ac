/*
 * intake.h
 *	  What becomes of the entries of a stream.
 */
#ifndef DEFIDATA_REDIS_INTAKE_H
#define DEFIDATA_REDIS_INTAKE_H

#include "stream.h"

#pragma GCC visibility push(hidden)

typedef struct Intake Intake;

extern Intake *MakeIntake(Datum name, const Stream *stream);
extern void TakeEntries(Intake *intake, const EntryBatch *batch);
extern int64 FinishIntake(Intake *intake);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_INTAKE_H */
