"""Pages of one's own account, of organizations that one makes and of invitations."""
