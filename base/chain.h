#pragma once

#include <stdbool.h>

/* A circular doubly linked list whose links live inside their owners: adding and removing are O(1), and a link that is
 * in no list points at itself, so that removing it again is harmless.  The same type is head and link. */
struct chain {
	struct chain *prev, *next;
};

static inline void chain_init(struct chain *link)
{
	link->prev = link->next = link;
}

static inline bool chain_empty(const struct chain *head)
{
	return head->next == head;
}

static inline bool chain_linked(const struct chain *link)
{
	return link->next != link;
}

static inline void chain_remove(struct chain *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	chain_init(link);
}

/* Behind `at`: at the front of a list when `at` is its head. */
static inline void chain_insert(struct chain *at, struct chain *link)
{
	link->prev = at;
	link->next = at->next;
	at->next->prev = link;
	at->next = link;
}

static inline void chain_append(struct chain *head, struct chain *link)
{
	chain_insert(head->prev, link);
}

/* Moves the whole of `from` to the end of `to`. */
static inline void chain_splice(struct chain *to, struct chain *from)
{
	if (chain_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	chain_init(from);
}
