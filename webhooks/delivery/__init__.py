"""From an event to the receiver's answer: plan, dispatch, attempt, try again.

     1  the fact and its event commit together     repositories/events/recording.py
     2  its id goes into a queue of this process   dispatch.dispatch_event
     3  a thread asks whether any webhook wants it dispatch
     4  a message to the worker                    dispatch.publish
     5  the worker locks the event                 repositories/events/outbox.py
     6  one delivery for each webhook              planning.plan_deliveries
     7  the event is marked; all of it commits     repositories/events/outbox.py
     8  a message for each hundred deliveries      dispatch.publish_deliveries
     9  each gets a slot, or waits for its turn    scheduler
    10  with the slot, a thread of its own         attempts.deliver
    11  its body is rendered, once                 webhooks/rendering.py
    12  it is claimed for 30 seconds               attempts
    13  and signed                                 webhooks/signing.py
    14  one POST to an address that is allowed     webhooks/http/
    15  the attempt is recorded: delivered,
        failed, or due again                       attempts, retry
    16  what no message came for is found          sweep, every 5 seconds

People ask for 9 to 16 by a test or a redelivery (redelivery.py); pulls come in at 6 in
batches. What waits too long is seen in backlog.py.
"""
