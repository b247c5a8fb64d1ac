/*
 * ascii.h
 *
 * What a character is, by ASCII alone: the functions of the locale may answer
 * otherwise in the next session, and an immutable function must not.
 */
#ifndef DEFIDATA_ASCII_H
#define DEFIDATA_ASCII_H

#include <stdbool.h>

/* ascii_is_space tells whether a character is one of the six white spaces. */
static inline bool
ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ascii_is_digit tells whether a character is a decimal digit. */
static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ascii_upper makes a letter a capital. */
static inline char
ascii_upper(char c)
{
	return (c >= 'a' && c <= 'z') ? (char) (c - ('a' - 'A')) : c;
}

#endif							/* DEFIDATA_ASCII_H */
